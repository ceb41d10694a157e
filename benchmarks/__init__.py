"""What the product costs, measured as ratios between two things run in turn."""
