"""A candidate policy that decides on live facts, is measured, and can do nothing."""
