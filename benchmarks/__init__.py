"""Measurements of the codec; nothing imports them."""
