"""Wrapper around Great Expectations: rules, verdict, Data Docs."""
