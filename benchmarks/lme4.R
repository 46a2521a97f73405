# lme4: worker levels and effects, days, worker-day shocks on chats (log duration); on cells, without effects
# and shocks, for retrials, whose likelihood lme4 approximates by Laplace's method.

source(file.path(dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))), "common.R"))

if (outcome == "log_duration") {
  rows <- read_rows("chats.csv")
  fit <- function() {
    suppressPackageStartupMessages(library(lme4))
    lmer(log_duration ~ treatment + treated + (1 + treatment | worker) + (1 | day) + (1 | worker:day), rows)
  }
} else {
  rows <- read_rows("cells.csv")
  fit <- function() {
    suppressPackageStartupMessages(library(lme4))
    glmer(cbind(retrials, n - retrials) ~ treatment + treated + (1 | worker) + (1 | day), rows, binomial)
  }
}
read <- function(model) {
  found <- coef(summary(model))["treatment", ]
  list(estimate = found[["Estimate"]], sd = found[["Std. Error"]])
}
report(fit, read, nrow(rows))
