"""The class-room page: many cars on one page of the teacher's computer, and one STOP for all."""
