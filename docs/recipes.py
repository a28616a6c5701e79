"""Runs docs/recipes.md: writes what each of its code blocks prints under it, and the same as a notebook.

pip install '.[docs]'
python docs/recipes.py
"""

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).with_suffix(".md")
NOTEBOOK = Path(__file__).with_suffix(".ipynb")
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<printed>.*?)```\n)?", re.DOTALL)


def blocks(text: str) -> list[tuple[str, str]]:
    """The page's code blocks, each with what the page says that it prints."""
    return [(match["code"], match["printed"] or "") for match in BLOCK.finditer(text)]


def run(text: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Runs the page's code blocks, one after the other, in a folder.

    Yields:
        Each block, with what it really printed.
    """
    names: dict[str, object] = {}
    with contextlib.chdir(folder):
        for code, _ in blocks(text):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, str(PAGE), "exec"), names)
            yield code, printed.getvalue()


def main() -> None:
    import nbformat
    from nbclient import NotebookClient

    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        printed = iter([output for _, output in run(text, Path(folder))])

    def filled(match: re.Match[str]) -> str:
        output = next(printed)
        return f"```python\n{match['code']}```\n" + (f"\n```text\n{output}```\n" if output else "")

    text = BLOCK.sub(filled, text)
    PAGE.write_text(text, encoding="utf-8")

    cells, last = [], 0
    for number, match in enumerate(BLOCK.finditer(text)):
        said = text[last : match.start()].strip()
        cells += [nbformat.v4.new_markdown_cell(said, id=f"text-{number}")] if said else []
        cells.append(nbformat.v4.new_code_cell(match["code"].strip(), id=f"code-{number}"))
        last = match.end()
    book = nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(book, resources={"metadata": {"path": folder}}).execute()
    for cell in book.cells:  # what libraries log goes to stderr, and like the times of the cells differs each time
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    book.metadata.pop("language_info", None)
    nbformat.write(book, NOTEBOOK)


if __name__ == "__main__":
    os.environ["PYTHONWARNINGS"] = "ignore"
    main()
