"""Tables of docs/performance.md, made from results: what stands between <!-- NAME --> and <!-- end --> is replaced."""

import re


def cell(value):
    return "" if value is None else f"{value:.2f}"


def table(result):
    lines = ["| what | Triga | against | ratio | lowest .. highest | at most | aim | |", "|---|---|---|---|---|---|---|---|"]
    for row in result["rows"]:
        verdict = "" if row["met"] is None else ("met" if row["met"] else "**not met**")
        bar = cell(row["at_most"]) + (" (at least)" if row["at_least"] and row["at_most"] is not None else "")
        lines.append(f"| {row['name']} | {row['triga']:.4g} {row['unit']} | {row['other']:.4g} ({row['other_name']}) | "
                     f"{row['ratio']:.3f} | {row['ratio_min']:.3f} .. {row['ratio_max']:.3f} | {bar} | {cell(row['aim'])} | {verdict} |")
    machine = result["machine"]
    where = machine["gpu"] or f"{machine['cpu']}, {machine['cores']} cores"
    rounds = result["rows"][0]["rounds"]
    lines += ["", f"{where}; PyTorch {machine['pytorch']}; {rounds} rounds in turn, medians; commit {machine['commit']}, "
                  f"{machine['date']}."]
    return "\n".join(lines)


def write_tables(path, results):
    text = path.read_text()
    for name, result in results.items():
        place = re.compile(rf"<!-- {name} -->.*?<!-- end -->", re.S)
        if not place.search(text):
            raise SystemExit(f"{path} has no place <!-- {name} --> ... <!-- end -->")
        content = f"<!-- {name} -->\n**{result['title']}**\n\n{table(result)}\n<!-- end -->"
        text = place.sub(lambda _: content, text)
    path.write_text(text)
    print(f"written: {path}")
