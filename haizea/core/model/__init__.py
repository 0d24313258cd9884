"""The words: what is asked for, what a site is, what happens and what is decided.

Plain data; imports nothing else of the core.
"""
