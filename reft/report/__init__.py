"""The picture of runs: one HTML page, whole in itself, of accuracy against compute in training and at test time, and of chains.

`read` takes in what run directories hold, `curves` is the mathematics of plateaus and of break-even, `charts` says what is
drawn, `chains` which chains are shown, and `page` puts it together with what `page.html` and the scripts beside it need.
"""
