"""A station's link: from its connection through onboarding to remote starts."""
