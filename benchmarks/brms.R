# brms with rstan on worker-day cells, compiling included: worker levels and effects, and days; without
# worker-day shocks, and for log duration on unweighted means.

source(file.path(dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))), "common.R"))

rows <- read_rows("cells.csv")
effects <- "treatment + treated + (1 + post + treatment | worker) + (1 | day)"
left <- c(log_duration = "log_duration", retrial = "retrials | trials(n)", rating = "rating | weights(times)")
if (outcome == "rating") {
  counts <- grep("^rating_", names(rows), value = TRUE)
  long <- lapply(seq_along(counts), function(k) transform(rows, rating = k, times = rows[[counts[k]]]))
  rows <- subset(do.call(rbind, long), times > 0)
  rows$rating <- factor(rows$rating, ordered = TRUE)
}
fit <- function() {
  suppressPackageStartupMessages(library(brms))
  family <- switch(outcome, log_duration = gaussian(), retrial = binomial(), rating = cumulative())
  brm(as.formula(paste(left[[outcome]], "~", effects)), rows, family, chains = chains, cores = chains,
      iter = 2 * draws, warmup = draws, seed = 1, refresh = 0, silent = 2)
}
read <- function(model) {
  found <- summary(model)
  parts <- c(list(found$fixed, found$spec_pars), found$random)
  sizes <- unlist(lapply(parts, function(part) part[["Bulk_ESS"]]))
  coef <- found$fixed["treatment", ]
  list(estimate = coef[["Estimate"]], sd = coef[["Est.Error"]], ess = min(sizes),
       mcse = coef[["Est.Error"]] / sqrt(coef[["Bulk_ESS"]]))
}
report(fit, read, nrow(rows))
