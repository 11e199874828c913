"""Models: the registry. What each comes from, how good it is, which one answers, and its files."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.components.layout import empty, page_title
from frontend.components.paging import page_buttons, page_number, search_box
from frontend.formatting import headline, plain, size
from frontend.session import can_edit, client, current_user, is_admin, query_id, show_errors
from frontend.style import synthetic_badge
from vise_client.errors import ApiError
from vise_client.schemas.models import ModelCardView, ModelCreate, ModelUpdate, ModelView

PAGE = 20
MOST_COMPARED = 6

user = current_user()


def registry() -> None:
    """One page of models, with search; links open one or compare several."""
    search = search_box("Search models", "Search by name, method or backbone")
    number = page_number()
    found = client().models(search=search, offset=PAGE * number, limit=PAGE + 1)
    if not found and not search and number == 0:
        empty(
            "No model yet.",
            "A model is a succeeded evaluation that people may use: register one below, or run the sample recipe, "
            "which registers its best.",
            page="home",
            label="Try it with sample data",
        )
    elif not found:
        st.info("No model matches. Search for something else.")
    for model in found[:PAGE]:
        _row(model)
    _compare_link()
    page_buttons(number, more=len(found) > PAGE)
    if can_edit():
        _register()


def _row(model: ModelView) -> None:
    with st.container(border=True, key=f"row-{model.id}"):
        about, pick = st.columns([6, 1], vertical_alignment="center")
        about.page_link(
            "views/models/page.py", label=f"**{plain(model.name)}**", query_params={"model": str(model.id)}
        )
        marks = (":green-badge[:material/check: default]" if model.default else "") + synthetic_badge(
            model.synthetic
        )
        if marks:
            about.markdown(marks)
        about.caption(
            f"{plain(model.method)} · {plain(model.task)} · {model.backbone} · {len(model.classes)} classes · "
            f"{headline(model.headline)} · {model.created_at:%Y-%m-%d}"
        )
        pick.checkbox("Compare", key=f"compare.{model.id}")


def _compare_link() -> None:
    chosen = [
        str(key).removeprefix("compare.")
        for key, on in st.session_state.items()
        if str(key).startswith("compare.") and on
    ]
    if len(chosen) > 1:
        st.page_link(
            "views/models/page.py",
            label=f"Compare {min(len(chosen), MOST_COMPARED)} models",
            icon=":material/compare_arrows:",
            query_params={"compare": chosen[:MOST_COMPARED]},
        )


def _register() -> None:
    st.header("Register a model", anchor=False)
    st.write("Any succeeded evaluation can answer for images.")
    search = st.text_input(
        "Search evaluations",
        key="models.evaluations",
        placeholder="Search evaluations by name or tag",
        live=True,
    )
    runs = client().runs(stage="evaluate", state=["succeeded"], all=True, search=search, limit=50).items
    if not runs:
        st.caption("No succeeded evaluation matches." if search else "No evaluation has succeeded yet.")
        return
    names = {
        run.id: f"{run.name} · {headline(run.headline)} · {run.created_at:%Y-%m-%d %H:%M}" for run in runs
    }
    with st.form("register"):
        chosen = st.selectbox("Evaluation", list(names), format_func=names.__getitem__)
        name = st.text_input("Name of the model", max_chars=120)
        default = st.checkbox("Answer with it when nobody names a model")
        if st.form_submit_button("Register", type="primary"):
            if not name.strip():
                st.error("Give the model a name.")
                return
            made = client().register_model(ModelCreate(run_id=chosen, name=name.strip(), default=default))
            st.query_params["model"] = str(made.id)
            st.rerun()


def one_model(model_id: UUID) -> None:
    """Numbers, lineage, card, and what can be done with it."""
    found = client().model_card(model_id)
    facts = found.facts
    model = next(m for m in client().models(search=facts.name) if m.id == model_id)
    st.page_link("views/models/page.py", label="All models", icon=":material/arrow_back:")
    st.header(plain(facts.name), anchor=False)
    mark = ":green-badge[:material/check: default] " if model.default else ""
    st.markdown(
        f"{mark}{synthetic_badge(facts.synthetic)} {plain(facts.method)} on {plain(facts.task)}, {facts.backbone}, "
        f"{facts.protocol}, {facts.features} features, {len(facts.classes)} classes"
    )
    columns = st.columns(max(3, len(facts.metrics)))
    for column, metric in zip(columns, facts.metrics, strict=False):
        column.markdown(f"**{metric.sentence}**")
    _actions(model, found)
    lineage, card = st.tabs(["Made from", "Model card"])
    with lineage:
        st.page_link(
            "views/run/page.py",
            label="The evaluation behind it",
            icon=":material/monitoring:",
            query_params={"run": facts.run},
        )
        for step in facts.lineage:
            _step(step.kind, step.id, step.role, step.name, step.stage, step.synthetic, step.depth)
    with card:
        # One level down: the page has its own first heading.
        st.markdown(found.markdown.replace("\n## ", "\n### ").replace("# ", "## ", 1))


def _step(kind: str, run: str, role: str, name: str, stage: str, synthetic: bool, depth: int) -> None:
    lead = "\u2003" * (depth - 1) + ("↳ " if depth > 1 else "")
    label = f"{lead}{role}: {plain(name)} :gray[{stage or kind}]{synthetic_badge(synthetic)}"
    if kind == "run":
        st.page_link("views/run/page.py", label=label, query_params={"run": run})
    else:
        st.markdown(label)


def _actions(model: ModelView, found: ModelCardView) -> None:
    with st.container(horizontal=True):
        st.page_link(
            "views/predict/page.py",
            label="Ask it about an image",
            icon=":material/image_search:",
            query_params={"model": str(model.id)},
        )
        st.link_button(
            f"Download ({size(found.size)}, safetensors)",
            f"/download/models/{model.id}",
            icon=":material/download:",
        )
        if not can_edit():
            return
        if not model.default and st.button("Make it the default", icon=":material/check:"):
            client().update_model(model.id, ModelUpdate(default=True))
            st.rerun()
        with st.popover("Rename", icon=":material/edit:"):
            name = st.text_input("New name", model.name, max_chars=120, key=f"rename.{model.id}")
            if st.button("Rename it", type="primary") and name.strip() and name.strip() != model.name:
                client().update_model(model.id, ModelUpdate(name=name.strip()))
                st.rerun()
        if is_admin():
            with st.popover("Delete", icon=":material/delete:"):
                st.write("The model and its predictions go; the run that made it stays.")
                if st.button("Delete it", type="primary"):
                    client().delete_model(model.id)
                    st.query_params.clear()
                    st.rerun()


def compare(ids: list[str]) -> None:
    """Models side by side, one a column."""
    st.page_link("views/models/page.py", label="All models", icon=":material/arrow_back:")
    columns: dict[str, dict[str, str]] = {}
    for text in ids[:MOST_COMPARED]:
        try:
            facts = client().model_card(text).facts
        except ApiError:
            st.warning(f"There is no model {text}; it may have been deleted.")
            continue
        rows = {
            "method": facts.method,
            "task": facts.task,
            "backbone": f"{facts.backbone} ({facts.parameters / 1e6:.1f} M)",
            "protocol": f"{facts.protocol}, {facts.features}",
            **{metric.name: metric.sentence for metric in facts.metrics},
            "splits": str(facts.splits),
            "classes": str(len(facts.classes)),
            "data": "synthetic" if facts.synthetic else "real",
            "integrity checks": facts.integrity or "–",
            "licence of weights": facts.licence or "–",
        }
        columns[facts.name] = rows
    labels = list(dict.fromkeys(label for rows in columns.values() for label in rows))
    table = [
        {"": label, **{name: rows.get(label, "–") for name, rows in columns.items()}} for label in labels
    ]
    st.dataframe(table, hide_index=True)
    st.page_link(
        "views/predict/page.py",
        label="Ask them about the same image",
        icon=":material/image_search:",
        query_params={"model": ids[:MOST_COMPARED]},
    )


page_title(
    "Models", "Evaluated models that answer for images: what each comes from, how good it is, its files."
)
with show_errors():
    wanted, compared = query_id("model"), st.query_params.get_all("compare")
    if wanted is not None:
        one_model(wanted)
    elif compared:
        compare(compared)
    else:
        registry()
