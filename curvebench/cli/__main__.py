"""`python -m curvebench.cli` is the command `curvebench`."""

from curvebench.cli import main

if __name__ == "__main__":
    main()
