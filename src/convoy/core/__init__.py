"""What everything rests on: errors, params, the stage runner, files, statistics."""
