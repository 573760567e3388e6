/* SPDX-License-Identifier: MIT */
/* The floor under every shim: a static program of the same make that does nothing. */
int main(void)
{
    return 0;
}
