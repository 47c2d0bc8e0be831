"""The synthetic catalogue, whose Bayes accuracies are known exactly."""
