"""What `--lan` needs: the token, the certificate, which addresses are approved.

May import `control.osc.clients`, `runtime` and `io`.
"""
