"""Digital twins: what each unit would have done under control."""
