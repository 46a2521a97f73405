# ordinal::clmm: worker levels and days on rated chats, the likelihood approximated by Laplace's method.

source(file.path(dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))), "common.R"))

rows <- read_rows("chats.csv")
rows <- rows[!is.na(rows$rating), ]
rows$rating <- factor(rows$rating, ordered = TRUE)
fit <- function() {
  suppressPackageStartupMessages(library(ordinal))
  clmm(rating ~ treatment + treated + (1 | worker) + (1 | day), data = rows)
}
read <- function(model) {
  found <- coef(summary(model))["treatment", ]
  list(estimate = found[["Estimate"]], sd = found[["Std. Error"]])
}
report(fit, read, nrow(rows))
