"""The `heddle` command: everything a tenant and an operator do, assembled from one module per audience."""

import typer

from heddle_api.cli import base, demo, ops, oversee, score, tenant

app = typer.Typer(
    name="heddle",
    help="Edit your own attributes of images on one shared model. New here? Run `heddle demo`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,  # locals may hold keys
)
app.command()(demo.demo)
app.command()(score.score)
app.command()(ops.up)
app.command()(ops.down)
app.command()(ops.status)
tenant.install(app)
app.add_typer(base.app, name="base")
app.add_typer(oversee.app, name="ops")


if __name__ == "__main__":
    app()
