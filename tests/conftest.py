"""What all tests share: hypothesis without a deadline, because a busy machine says nothing about how fast a function is."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
