"""The domain, pure: no I/O, no clock; standard library and pydantic only."""
