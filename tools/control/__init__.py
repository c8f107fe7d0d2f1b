"""Knowledge tools of visuo-motor control: where a trajectory's objects and hand were."""
