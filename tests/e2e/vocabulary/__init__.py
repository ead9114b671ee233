"""The words that the scenarios are written in: an origin under our control, Breakwater as a process, raw HTTP/1.1."""
