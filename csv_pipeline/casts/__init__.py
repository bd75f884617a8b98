"""Convert text to values, by what the values of a whole column prove.

A cast first surveys all values of its column (`Survey`), decides once, and then converts text by
Polars expressions. A text that does not convert becomes null; the caller makes a reject of it.
"""
