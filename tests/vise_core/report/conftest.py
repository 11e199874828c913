import sys
from pathlib import Path

# results.py, which the tests here share.
sys.path.insert(0, str(Path(__file__).parent))
