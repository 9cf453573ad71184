"""Pictures -> numbers: how recognisable, how varied, how like photographs."""
