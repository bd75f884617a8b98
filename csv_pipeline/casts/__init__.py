"""From text to values, decided by evidence: what a column's values prove, never what they suggest.

A cast looks at all values of its column first (`Survey`), decides once, and then turns text into
values by Polars expressions. What it cannot turn becomes null where the text was not: the caller
makes a reject of that.
"""
