"""Before a plan plays: it is compiled, tried, measured, admitted and prepared, beside the loop."""
