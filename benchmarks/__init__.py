"""What a user would want to check: peers side by side, in one run. ``python -m benchmarks`` lists them."""
