"""Settings, typed and frozen, and the one way to load them."""

from churn_mlops.config.loading import load_settings
from churn_mlops.config.settings import Settings

__all__ = ["Settings", "load_settings"]
