# What the scripts of R's peers share: arguments in, timed fits, one line of JSON out.

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
outcome <- arguments[2]
warm <- arguments[3] == "1"
draws <- as.integer(arguments[4])
chains <- as.integer(arguments[5])

# Effect coding of days and workers does not matter to random intercepts, names do.
read_rows <- function(name) {
  rows <- read.csv(file.path(folder, name))
  rows$worker <- factor(rows$worker_id)
  rows$day <- factor(rows$day)
  rows
}

number <- function(x) if (is.null(x) || !is.finite(x)) "null" else format(x, digits = 10)

again_under <- 2000 # seconds, as in measure.py

# Times `fit()` once, and again where asked and the first was quick; `read(model)` gives estimate, sd and
# (for samplers) ess.
report <- function(fit, read, rows) {
  said <- character()
  hear <- function(warning) {
    said <<- c(said, conditionMessage(warning))
    invokeRestart("muffleWarning")
  }
  cold <- system.time(model <- withCallingHandlers(fit(), warning = hear))[["elapsed"]]
  again <- if (warm && cold < again_under) system.time(suppressWarnings(fit()))[["elapsed"]] else NULL
  values <- Filter(Negate(is.null), c(list(cold_s = cold, warm_s = again, rows = rows), read(model)))
  note <- gsub("[^[:alnum:][:space:].,:;()=<>+-]", " ", paste(unique(said), collapse = "; "))
  note <- gsub("[[:space:]]+", " ", note)
  fields <- paste0("\"", names(values), "\": ", vapply(values, number, ""))
  cat("{", paste(c(fields, paste0("\"note\": \"", note, "\"")), collapse = ", "), "}\n", sep = "")
}
