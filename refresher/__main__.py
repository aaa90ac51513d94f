"""`python -m refresher`."""

from refresher.cli.main import main

if __name__ == "__main__":
    main()
