"""Steps before a plan plays: it is compiled, tried, measured, admitted and prepared, while the loop runs."""
