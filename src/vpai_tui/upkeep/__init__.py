"""WHAT IT NEEDS: checks of what fails in silence, backups, disks, units; and what happened since the last look."""
