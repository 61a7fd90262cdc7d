"""`python -m pentimento` is the command."""

from .cli import main

main()
