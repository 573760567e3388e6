/* SPDX-License-Identifier: MIT */
/* Links one layer whole, with only what it may use: an arrow that points the wrong way is an
 * undefined symbol here. Never run. */
int main(void)
{
    return 0;
}
