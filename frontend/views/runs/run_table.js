// The table of runs. Python decides what stands in it; this draws it in place, so that a live list never flickers,
// and tells Python what was chosen, sorted, opened or starred. Text comes in as text only, never as HTML.
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
    view = parentElement.viseTable = { root, chosen: new Set(), rows: new Map(), last: null, epoch: data.epoch };
  }
  view.tell = { setStateValue, setTriggerValue };
  view.data = data;
  // Python forgot the choice on purpose, after doing what was asked with it.
  if (view.epoch !== data.epoch) view.chosen = new Set();
  view.epoch = data.epoch;
  const frame = JSON.stringify([data.columns, data.sort, data.sortable]);
  if (view.frame !== frame) drawFrame(view, frame);
  drawRows(view);
}

function drawFrame(view, frame) {
  const { columns, sort, sortable } = view.data;
  const all = make("input", { type: "checkbox", "aria-label": "Choose all on this page" });
  all.onchange = () => {
    for (const row of view.data.rows) if (row.kind !== "member") pick(view, row.key, all.checked);
    told(view);
  };
  const heads = columns.map((column) => {
    const by = sort.replace(/^-/, "") === column.key ? (sort[0] === "-" ? "descending" : "ascending") : null;
    const head = make("th", { scope: "col", role: "columnheader", class: column.numeric ? "number" : "", title: column.help, "aria-sort": by });
    if (!sortable.includes(column.key)) {
      head.append(column.label);
      return head;
    }
    const button = make("button", { type: "button" }, column.label, make("span", { "aria-hidden": "true" }, by === "descending" ? " ↓" : by ? " ↑" : ""));
    button.onclick = () => view.tell.setTriggerValue("sorted", (by === "descending" ? "" : "-") + column.key);
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

// An old row is filled anew and keeps its node: focus and what was opened in it stay.
function drawRow(view, row, old) {
  const open = old?.querySelector("details")?.open;
  const focus = old?.getRootNode().activeElement?.dataset?.focus;
  const box = make("input", { type: "checkbox", "aria-label": `Choose ${row.name}`, "data-focus": "box" });
  box.onclick = (event) => choose(view, row.key, box.checked, event.shiftKey);
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
    button.onclick = () => view.tell.setTriggerValue("opened", row.key);
    parts.push(button);
  } else {
    if (view.data.editable) {
      const star = make("button", { type: "button", class: "star", "aria-pressed": String(row.starred), "data-focus": "star",
        "aria-label": `Star ${row.name}`, title: row.starred ? "Take the star away" : "Star it" }, row.starred ? "★" : "☆");
      star.onclick = () => view.tell.setTriggerValue("starred", { id: row.key, starred: !row.starred });
      parts.push(star);
    } else if (row.starred) parts.push(make("span", { role: "img", "aria-label": "starred", class: "star" }, "★"));
    const link = make("a", { href: row.href, "data-focus": "name" }, row.name);
    link.onclick = (event) => {
      // With a key held, or by the middle button, the browser opens it elsewhere.
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      view.tell.setTriggerValue("went", row.key);
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

function choose(view, key, wanted, range) {
  const keys = view.data.rows.map((row) => row.key);
  const [from, to] = [keys.indexOf(view.last), keys.indexOf(key)].sort((a, b) => a - b);
  for (const one of range && from >= 0 ? keys.slice(from, to + 1) : [key]) pick(view, one, wanted);
  view.last = key;
  told(view);
}

const pick = (view, key, wanted) => (wanted ? view.chosen.add(key) : view.chosen.delete(key));

function told(view) {
  mark(view);
  view.tell.setStateValue("chosen", { epoch: view.epoch, keys: [...view.chosen] });
}

function mark(view) {
  let picked = 0, all = 0;
  for (const row of view.data.rows) {
    const node = view.rows.get(row.key).node;
    const box = node.querySelector(".box input");
    box.checked = view.chosen.has(row.key);
    node.classList.toggle("chosen", box.checked);
    all += row.kind !== "member";
    picked += row.kind !== "member" && box.checked;
  }
  view.all.checked = all > 0 && picked === all;
  view.all.indeterminate = picked > 0 && picked < all;
}
