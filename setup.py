from setuptools import setup

setup(license="MIT")
