"""How the images of nodes are made. Data only: nothing here is imported, `clusterctl image build` reads it."""
