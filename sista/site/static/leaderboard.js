// The leaderboard: the table is DataTables, which sorts, searches and pages. Here its columns are
// described, the filters set its searches, and two chosen rows are laid side by side.
"use strict";
(() => {
  const { columns, words, rows: packed } = window.SISTA_ROWS;
  const escape = (text) =>
    String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  const rows = packed.map((values, index) => {
    const row = { index };
    columns.forEach((name, k) => (row[name] = name in words ? words[name][values[k]] : values[k]));
    return row;
  });
  const share = (row) => (row.fraction ? `${row.fraction} %` : "no labels");
  const link = (place, text) => `<a href="${place}">${escape(text)}</a>`;
  const page = (kind, word) => link(`words/${kind}.html#${encodeURIComponent(word)}`, word);
  const last = (value) => (value === null ? -Infinity : value);

  // The scale of bars: from the lowest to the highest end of all intervals of a metric and protocol.
  const scales = new Map();
  const scale = (row) => `${row.protocol} ${row.metric}`;
  for (const row of rows) {
    if (row.low === null) continue;
    const [low, high] = scales.get(scale(row)) || [Infinity, -Infinity];
    scales.set(scale(row), [Math.min(low, row.low), Math.max(high, row.high)]);
  }

  // The same numbers stand beside the bar as text.
  function bar(row) {
    if (row.low === null) return "";
    const [low, high] = scales.get(scale(row));
    const x = (value) => ((100 * (value - low)) / (high - low || 1)).toFixed(2);
    return (
      '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">' +
      '<line x1="0" x2="100" y1="5" y2="5" class="axis"/>' +
      `<line x1="${x(row.low)}" x2="${x(row.high)}" y1="5" y2="5" class="interval"/>` +
      `<line x1="${x(row.value)}" x2="${x(row.value)}" y1="1" y2="9" class="mean"/></svg>`
    );
  }

  function variant(row) {
    let text = link(`runs/${row.grid}/${row.variant}.html`, row.variant);
    if (row.control) text += ' <span class="mark">control</span>';
    if (row.plateau) text += ` <span class="mark">plateau: ${escape(row.plateau)}</span>`;
    return text;
  }

  const told = (row) =>
    `${row.variant}, ${row.encoder}, ${row.dataset}, ${row.head}, ${share(row)}, grid ${row.grid}`;
  // How a cell is shown; what is searched and sorted is the plain word or number.
  const shown = {
    index: (row) =>
      `<input type="checkbox" class="choose" data-row="${row.index}"` +
      `${chosen.includes(row.index) ? " checked" : ""} aria-label="Compare ${escape(told(row))}">`,
    variant,
    method: (row) => page("methods", row.method),
    encoder: (row) => page("encoders", row.encoder),
    dataset: (row) =>
      link(`words/datasets.html#${encodeURIComponent(row.dataset.split("@")[0])}`, row.dataset),
    head: (row) => page("heads", row.head),
    budget: (row) => page("budgets", row.budget),
    grid: (row) => link(`grids/${row.grid}.html`, row.grid),
    fraction: share,
    value: (row) => escape(row.shown) + (row.note ? ` <small>${escape(row.note)}</small>` : ""),
    low: (row) => `<span class="numbers">${escape(row.interval)}</span>${bar(row)}`,
    visible: (row) => escape(row.difference || "unknown"),
    n: (row) => escape(row.runs),
  };
  const numbers = ["value", "low", "visible", "fraction", "n", "index"];
  const chosen = [];
  const heads = [...document.querySelectorAll("#board thead th")].map((th) => th.dataset.name);
  const table = new DataTable("#board", {
    data: rows,
    columns: heads.map((name) => ({
      name,
      data: name,
      className: numbers.includes(name) ? "number" : "",
      orderable: name !== "index",
      searchable: !["index", "low", "visible"].includes(name),
      visible: !["task", "metric", "protocol"].includes(name),
      render: (value, type, row) => {
        if (type === "display") return name in shown ? shown[name](row) : escape(value);
        if (type === "filter") return name === "fraction" ? share(row) : String(value);
        return numbers.includes(name) ? last(value) : value;
      },
    })),
    order: [[heads.indexOf("value"), "desc"]],
    pageLength: 25,
    lengthMenu: [25, 100, { label: "all", value: -1 }],
    autoWidth: false,
    layout: {
      topStart: "pageLength", topEnd: "search", bottomStart: "info", bottomEnd: "paging",
    },
    language: { search: "Search in all columns", emptyTable: "no rows" },
  });

  // Filters: each shows what the others leave. Protocol and metric always have one value, since a
  // column of numbers is of one protocol and one metric.
  const filters = [...document.querySelectorAll("#filters select")];
  const single = ["protocol", "metric"];
  const text = (name, row) => (name === "fraction" ? share(row) : row[name]);
  const state = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

  // A task has metrics and heads of its own, which another one does not keep from being chosen.
  const own = { task: ["metric", "head"] };
  function left(name) {
    const free = [name, ...(own[name] || [])];
    return rows.filter((row) =>
      filters.every(
        ({ name: other }) =>
          free.includes(other) || !state[other] || text(other, row) === state[other]
      )
    );
  }

  function options(select) {
    const found = new Map();
    for (const row of left(select.name)) {
      const title = select.name === "metric" ? `${row.title} (${row.task})` : text(select.name, row);
      if (!found.has(text(select.name, row)) || row.main) found.set(text(select.name, row), title);
    }
    const any = single.includes(select.name) ? [] : [["", "all"]];
    select.replaceChildren(
      ...[...any, ...found].map(([value, title]) => new Option(title, value, false, false))
    );
    select.value = found.has(state[select.name]) ? state[select.name] : "";
    if (single.includes(select.name) && !select.value) select.selectedIndex = 0;
    state[select.name] = select.value;
  }

  // Choices that leave nothing give way in this order; the newest one stays as long as it can.
  const order = "metric head dataset fraction grid method encoder task protocol".split(" ");
  let ordered = "";
  function filter(changed) {
    for (const name of [...order.filter((each) => each !== changed), changed]) {
      if (left("").length) break;
      delete state[name];
    }
    const [any] = left("");
    state.protocol ||= any.protocol;
    state.metric ||= (left("").find((row) => row.main) || any).metric;
    for (const select of filters) options(select);
    for (const { name } of filters) {
      table.column(`${name}:name`).search(state[name] || "", { exact: Boolean(state[name]) });
    }
    const first = left("")[0];
    document.getElementById("reading").textContent = first
      ? `${first.title}${first.percent ? " in %" : ""}, ${first.lower ? "lower" : "higher"} is ` +
        `better; protocol ${first.protocol}`
      : "no rows";
    // A reader's own order stays, until another metric may be better the other way round.
    if (state.metric !== ordered) {
      const value = table.column("value:name").index();
      table.order([[value, first && first.lower ? "asc" : "desc"]]);
      ordered = state.metric;
    }
    table.draw();
    const kept = filters.map(({ name }) => [name, state[name]]).filter(([, word]) => word);
    history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
  }
  for (const select of filters) {
    select.addEventListener("change", () => {
      state[select.name] = select.value;
      filter(select.name);
    });
  }
  document.getElementById("reset").addEventListener("click", () => {
    for (const name of Object.keys(state)) delete state[name];
    table.search("");
    filter("");
  });

  // Comparison of two rows.
  const pairs = new Map(window.SISTA_PAIRS.map(([a, b, ...test]) => [`${a},${b}`, test]));
  const compared = "variant encoder dataset fraction head protocol metric corpus budget grid".split(" ");
  const line = (name, cells) =>
    `<tr><th scope="row">${escape(name)}</th>${cells.map((c) => `<td>${escape(c)}</td>`).join("")}</tr>`;

  function compare() {
    const panel = document.getElementById("comparison");
    if (chosen.length < 2) {
      panel.innerHTML = chosen.length
        ? `<p>Chosen: ${escape(told(rows[chosen[0]]))}. Choose a second row.</p>`
        : "<p>Choose two rows in the first column.</p>";
      return;
    }
    // The test stands under the smaller number first: as built, so that no sign is turned here.
    const [first, second] = [...chosen].sort((a, b) => a - b).map((index) => rows[index]);
    const test = pairs.get(`${first.index},${second.index}`);
    const differ = compared.filter((name) => first[name] !== second[name]);
    // Beside the variant what tells the rows apart.
    const named = (row) => {
      const more = differ.filter((name) => name !== "variant").map((name) => text(name, row));
      return more.length ? `${row.variant} (${more.join(", ")})` : row.variant;
    };
    const body = compared.map((name) => line(name, [text(name, first), text(name, second)]));
    body.push(line("value", [first.shown, second.shown]));
    body.push(line("95 % interval", [first.interval, second.interval]));
    body.push(line("smallest visible difference", [first, second].map((r) => r.difference || "unknown")));
    const verdict = test
      ? `<p id="test"><strong>${escape(named(first))} minus ${escape(named(second))}: ` +
        `${escape(test[0])}</strong>, 95 % interval ${escape(test[1])}, p ${escape(test[2])}, ` +
        `Holm-corrected ${escape(test[3])}. ${escape(window.SISTA_KINDS[test[4]])}</p>`
      : `<p id="test"><strong>No test.</strong> The rows differ in ${escape(differ.join(", "))}` +
        `${differ.join() === "variant" ? ", and no seed and draw has both" : ""}: a comparison needs ` +
        "the same data, labels, protocol and metric, and seeds and draws that both have.</p>";
    panel.innerHTML =
      '<div class="scroll" tabindex="0" role="group" aria-label="Two rows side by side, scrolls sideways">' +
      `<table class="pair"><caption>Two rows side by side</caption><thead><tr><th scope="col">What</th>` +
      `<th scope="col">First</th><th scope="col">Second</th></tr></thead><tbody>` +
      `${body.join("")}</tbody></table></div>${verdict}`;
  }
  document.getElementById("board").addEventListener("change", (event) => {
    if (!event.target.matches(".choose")) return;
    const index = Number(event.target.dataset.row);
    if (event.target.checked) chosen.push(index);
    else if (chosen.includes(index)) chosen.splice(chosen.indexOf(index), 1);
    // The oldest of three gives way, also where its box lies on another page of the table.
    if (chosen.length > 2) {
      const gone = table.row(chosen.shift()).node();
      if (gone) gone.querySelector(".choose").checked = false;
    }
    compare();
  });

  // On paper there is no next page.
  let length = table.page.len();
  window.addEventListener("beforeprint", () => {
    length = table.page.len();
    table.page.len(-1).draw();
  });
  window.addEventListener("afterprint", () => table.page.len(length).draw());
  filter("");
  compare();
  document.documentElement.dataset.board = "ready";
})();
