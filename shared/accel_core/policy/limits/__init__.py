"""At a provider's limit, never over it: what it charges, what is left, and whose turn it is.

Everything here is arithmetic on stamps the caller passes in; nothing waits.
"""
