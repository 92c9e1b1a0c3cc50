"""`python -m causerie.native` builds the kernels after a change of their sources."""

from causerie.native.build import main

main()
