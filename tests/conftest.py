"""What all tests share: hypothesis without a deadline, because two workers on a busy machine say nothing about a function's speed."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
