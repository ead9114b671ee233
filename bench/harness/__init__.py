"""harness - Breakwater beside what people would pick instead, on the same work, in one run (bench/README.md).

    main -> kinds -> {load, check} -> {products, origin} -> machine        report -> {compare, plots}
"""
