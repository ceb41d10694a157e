"""Churn prediction that a subscription business runs itself."""

__version__ = "0.1.0"
