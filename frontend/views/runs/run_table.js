// The run table. Python sends the rows; this draws them in place, so that a live list does not flicker, and reports
// to Python what was selected, sorted, opened or starred. Texts are inserted as text, never as HTML.
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  node.append(...children.filter((child) => child != null));
  return node;
};

export default function (component) {
  const { data, parentElement, setStateValue, setTriggerValue } = component;
  let view = parentElement.viseTable;
  if (!view) {
    const root = make("div", { class: "runs" });
    parentElement.append(root);
    view = parentElement.viseTable = { root, selected: new Set(), rows: new Map(), last: null, epoch: data.epoch };
  }
  view.report = { setStateValue, setTriggerValue };
  view.data = data;
  // A new epoch clears the selection.
  if (view.epoch !== data.epoch) view.selected = new Set();
  view.epoch = data.epoch;
  const frame = JSON.stringify([data.columns, data.sort, data.sortable]);
  if (view.frame !== frame) drawFrame(view, frame);
  drawRows(view);
}

function drawFrame(view, frame) {
  const { columns, sort, sortable } = view.data;
  const all = make("input", { type: "checkbox", "aria-label": "Select all on this page" });
  all.onchange = () => {
    for (const row of view.data.rows) if (row.kind !== "member") setSelected(view, row.key, all.checked);
    report(view);
  };
  const heads = columns.map((column) => {
    const by = sort.replace(/^-/, "") === column.key ? (sort[0] === "-" ? "descending" : "ascending") : null;
    const head = make("th", { scope: "col", role: "columnheader", class: column.numeric ? "number" : "", title: column.help, "aria-sort": by });
    if (!sortable.includes(column.key)) {
      head.append(column.label);
      return head;
    }
    const button = make("button", { type: "button" }, column.label, make("span", { "aria-hidden": "true" }, by === "descending" ? " ↓" : by ? " ↑" : ""));
    button.onclick = () => view.report.setTriggerValue("sort", (by === "descending" ? "" : "-") + column.key);
    head.append(button);
    return head;
  });
  view.all = all;
  view.body = make("tbody", { role: "rowgroup" });
  const table = make(
    "table",
    { role: "table", "aria-label": view.data.label },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, make("th", { scope: "col", role: "columnheader", class: "box" }, all), ...heads)),
    view.body,
  );
  view.root.replaceChildren(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": view.data.label }, table));
  view.frame = frame;
  view.rows = new Map();
}

function drawRows(view) {
  const rows = new Map();
  let before = null;
  for (const row of view.data.rows) {
    const written = JSON.stringify(row);
    const old = view.rows.get(row.key);
    const kept = old && old.written === written ? old : { written, node: drawRow(view, row, old?.node) };
    const place = before ? before.nextSibling : view.body.firstChild;
    if (kept.node !== place) view.body.insertBefore(kept.node, place);
    before = kept.node;
    rows.set(row.key, kept);
  }
  for (const [key, old] of view.rows) if (rows.get(key)?.node !== old.node) old.node.remove();
  view.rows = rows;
  mark(view);
}

// A changed row keeps its node, so that focus and an opened traceback are kept.
function drawRow(view, row, old) {
  const open = old?.querySelector("details")?.open;
  const focus = old?.getRootNode().activeElement?.dataset?.focus;
  const box = make("input", { type: "checkbox", "aria-label": `Select ${row.name}`, "data-focus": "box" });
  box.onclick = (event) => select(view, row.key, box.checked, event.shiftKey);
  const cells = view.data.columns.map((column) => {
    const cell = make("td", { role: "cell", "data-label": column.label, class: column.numeric ? "number" : "" });
    if (column.key === "name") cell.append(...nameCell(view, row));
    else if (column.key === "status") cell.append(...statusCell(row, open));
    else cell.append(...plainCell(row.cells[column.key]));
    if (column.key === "name") cell.className = "name";
    if (column.key === "status" || column.key === "result") cell.className = column.key;
    return cell;
  });
  const node = old ?? make("tr", { role: "row" });
  node.className = row.kind;
  node.replaceChildren(make("td", { role: "cell", class: "box" }, box), ...cells);
  if (focus && old) node.querySelector(`[data-focus="${focus}"]`)?.focus();
  return node;
}

function nameCell(view, row) {
  const parts = [];
  if (row.kind === "group") {
    const button = make("button", { type: "button", class: "fold", "aria-expanded": String(row.open), "data-focus": "fold" },
      make("span", { "aria-hidden": "true" }, row.open ? "▾ " : "▸ "), row.name);
    button.onclick = () => view.report.setTriggerValue("toggled", row.key);
    parts.push(button);
  } else {
    if (row.editable) {
      const star = make("button", { type: "button", class: "star", "aria-pressed": String(row.starred), "data-focus": "star",
        "aria-label": `Star ${row.name}`, title: row.starred ? "Remove the star" : "Star this run" }, row.starred ? "★" : "☆");
      star.onclick = () => view.report.setTriggerValue("starred", { id: row.key, starred: !row.starred });
      parts.push(star);
    } else if (row.starred) parts.push(make("span", { role: "img", "aria-label": "starred", class: "star" }, "★"));
    const link = make("a", { href: row.href, "data-focus": "name" }, row.name);
    link.onclick = (event) => {
      // With a modifier key or the middle button, the browser opens a new tab or window.
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      view.report.setTriggerValue("followed", row.key);
    };
    parts.push(link);
  }
  for (const [tone, text] of row.marks) parts.push(make("span", { class: `badge ${tone}` }, text));
  return parts;
}

function statusCell(row, open) {
  const { tone, label, sentence, traceback, progress, links } = row.status;
  const parts = [make("span", { class: `badge ${tone}` }, label), " ", make("span", { class: "sentence" }, sentence)];
  for (const link of links ?? []) parts.push(" ", make("a", { href: link.href }, link.name));
  if (progress) {
    const bar = make("progress", { max: 1, value: progress.share, "aria-label": progress.text });
    parts.push(make("span", { class: "progress" }, bar, progress.text));
  }
  if (traceback)
    parts.push(make("details", { open }, make("summary", { "data-focus": "traceback" }, "End of the traceback"), make("pre", { tabindex: "0" }, traceback)));
  return parts;
}

function plainCell(cell) {
  if (!cell) return [make("span", { class: "none", "aria-hidden": "true" }, "–")];
  const parts = [make("span", { title: cell.title }, cell.text)];
  if (cell.tags) return cell.tags.map((tag) => make("span", { class: "badge gray" }, tag));
  return parts;
}

function select(view, key, checked, range) {
  const keys = view.data.rows.map((row) => row.key);
  const [from, to] = [keys.indexOf(view.last), keys.indexOf(key)].sort((a, b) => a - b);
  for (const other of range && from >= 0 ? keys.slice(from, to + 1) : [key]) setSelected(view, other, checked);
  view.last = key;
  report(view);
}

const setSelected = (view, key, checked) => (checked ? view.selected.add(key) : view.selected.delete(key));

function report(view) {
  mark(view);
  view.report.setStateValue("selected", { epoch: view.epoch, keys: [...view.selected] });
}

function mark(view) {
  let selected = 0, all = 0;
  for (const row of view.data.rows) {
    const node = view.rows.get(row.key).node;
    const box = node.querySelector(".box input");
    box.checked = view.selected.has(row.key);
    node.classList.toggle("selected", box.checked);
    all += row.kind !== "member";
    selected += row.kind !== "member" && box.checked;
  }
  view.all.checked = all > 0 && selected === all;
  view.all.indeterminate = selected > 0 && selected < all;
}
