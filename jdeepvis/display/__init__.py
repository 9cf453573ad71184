"""Turns arrays into files: pictures, montages, the page, a folder of them."""
