// A search box that completes fields, operators and values of the query language; Enter submits.
const WORD = /(?:"[^"]*|[^\s=<>~(),!]*)$/;

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let box = parentElement.viseQuery;
  if (!box) box = parentElement.viseQuery = build(parentElement);
  box.submit = (text) => setTriggerValue("submitted", text);
  box.vocabulary = data.vocabulary;
  if (box.query !== data.query) {
    box.input.value = box.query = data.query;
    close(box);
  }
}

function build(parent) {
  const root = parent.querySelector(".query");
  const box = { root, input: root.querySelector("input"), list: root.querySelector("ul"), at: -1, options: [] };
  box.input.oninput = () => suggest(box);
  box.input.onfocus = () => suggest(box);
  box.input.onblur = () => setTimeout(() => close(box), 150);
  box.input.onkeydown = (event) => key(box, event);
  root.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    submit(box);
  };
  root.querySelector("button.clear").onclick = () => {
    box.input.value = "";
    submit(box);
  };
  return box;
}

function submit(box) {
  close(box);
  box.query = box.input.value.trim();
  box.submit(box.query);
}

function key(box, event) {
  const open = !box.list.hidden && box.options.length;
  if (event.key === "Escape") return close(box);
  if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    box.at = (box.at + (event.key === "ArrowDown" ? 1 : -1) + box.options.length) % box.options.length;
    return show(box);
  }
  if (open && box.at >= 0 && (event.key === "Enter" || event.key === "Tab")) {
    event.preventDefault();
    complete(box, box.options[box.at]);
  }
}

// Completions at the caret: operators after a field, the field's values after an operator, else fields.
function suggest(box) {
  const before = box.input.value.slice(0, box.input.selectionStart);
  const typed = before.match(WORD)[0];
  const rest = before.slice(0, before.length - typed.length);
  const value = rest.match(/([\w./:-]+)\s*(=|!=|~|!~|<=?|>=?)\s*$/) ?? rest.match(/([\w./:-]+)\s+(?:not\s+)?(in)\s*\([^)]*$/);
  const field = rest.match(/(?:^|[\s(])([\w./:-]+)\s+$/);
  const { fields, values, operators } = box.vocabulary;
  let options = [];
  if (value) options = (values[value[1]] ?? []).map((text) => [quote(text), ""]);
  else if (field && operators[field[1]]) options = operators[field[1]].map((text) => [text, ""]);
  else if (field && !/^(and|or|not)$/i.test(field[1]) && typed === "") options = [["and", ""], ["or", ""]];
  else options = [["not", ""], ...fields];
  const prefix = typed.replace(/^"/, "").toLowerCase();
  const starts = options.filter(([text]) => text.replace(/^"/, "").toLowerCase().startsWith(prefix));
  const contains = options.filter(([text]) => !starts.some(([s]) => s === text) && text.toLowerCase().includes(prefix));
  box.options = [...starts, ...(prefix ? contains : [])].slice(0, 12);
  if (box.options.length === 1 && box.options[0][0] === typed) box.options = [];
  box.at = -1;
  show(box);
}

const quote = (text) => (/^[\w.+:/-]+$/.test(text) ? text : `"${text.replace(/(["\\])/g, "\\$1")}"`);

function complete(box, [text]) {
  const caret = box.input.selectionStart;
  const before = box.input.value.slice(0, caret).replace(WORD, "");
  const after = box.input.value.slice(caret);
  box.input.value = `${before}${text} ${after.trimStart()}`;
  box.input.setSelectionRange(before.length + text.length + 1, before.length + text.length + 1);
  box.input.focus();
  suggest(box);
}

function show(box) {
  box.list.replaceChildren(
    ...box.options.map((entry, number) => {
      const item = document.createElement("li");
      item.id = `query-option-${number}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(number === box.at));
      const name = document.createElement("span");
      name.textContent = entry[0];
      const help = document.createElement("small");
      help.textContent = entry[1];
      item.append(name, help);
      item.onmousedown = (event) => {
        event.preventDefault();
        complete(box, entry);
      };
      return item;
    }),
  );
  box.list.hidden = box.options.length === 0;
  box.input.setAttribute("aria-expanded", String(!box.list.hidden));
  if (box.at >= 0) box.input.setAttribute("aria-activedescendant", `query-option-${box.at}`);
  else box.input.removeAttribute("aria-activedescendant");
  box.list.children[box.at]?.scrollIntoView({ block: "nearest" });
}

function close(box) {
  box.list.hidden = true;
  box.input.setAttribute("aria-expanded", "false");
}
