"""Turns arrays into files: pictures, montages, and the gallery page."""
