"""Looking at a run and marking its pairs: the report, one HTML file, and the review page.

| file | holds |
|---|---|
| `folders.py` | which runs a folder holds: one, or the iterations of a loop |
| `counts.py`, `tool_counts.py`, `biases.py` | what is counted in rows, in one pass |
| `sections.py`, `later_sections.py`, `lineage.py`, `heldout.py` | the report's parts: words, tables, figures as Plotly's plain data |
| `entries.py`, `pictures.py`, `filmstrips.py`, `packing.py` | rows as the page shows them, small enough |
| `page.py` | puts the report together |
| `marks.py`, `agreement.py`, `review.py` | people's marks, what they say of judge and reward, and the page that takes them |

Texts from models reach the pages as data: Jinja2 escapes what it fills in, and scripts write text nodes alone.
"""
