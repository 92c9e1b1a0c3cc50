"""`python -m causerie.native` builds the kernels, for when the sources have changed."""

from causerie.native.build import main

main()
