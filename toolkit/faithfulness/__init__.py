"""Is the map true? Whether the pixels that a saliency map ranks first are those that the detector's score hangs on.

If they are, hiding them must cost the detector more than hiding random blobs inside the object's box: whoever knows
where the object is, and nothing of the detector, can do that much. What is selected and erased by a map that does not
pass means little.
"""
