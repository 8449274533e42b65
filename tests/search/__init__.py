"""The oracle: searches over HTTP beside a brute-force evaluation that reads every resource.

paths.py      the parameters asked about, as paths into JSON
values.py     one value as it is asked for, beside one as it is stored
evaluate.py   a whole search, by reading every resource
filters.py    expressions of `_filter`, with what they mean
people.py     hypothesis makes populations
questions.py  hypothesis makes searches of a population
"""
